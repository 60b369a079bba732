import json
import urllib.request

import pytest

from common import mail
from common.models import SentMail
from tests.waiting import eventually

pytestmark = pytest.mark.django_db(transaction=True)


def test_live_site_is_ready_to_serve(live_site):
    with urllib.request.urlopen(f"{live_site.url}/readyz?scope=web", timeout=60) as answer:
        body = json.load(answer)

    assert body["status"] == "ready"
    assert body["wrong"] == []


def test_live_site_worker_delivers_a_mail_without_beat(live_site):
    mail.send(to="ana@example.test", template="welcome", dedupe_key="live-site", name="Ana")

    sent = eventually(
        lambda: SentMail.objects.filter(to="ana@example.test").first(), what=f"no mail, see {live_site.log}"
    )

    assert "Ana" in sent.text
