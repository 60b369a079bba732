"""The password hash: argon2id at 19 MiB, t=2, p=1 (OWASP's figure): Django's own default takes 100 MiB per login."""

from django.contrib.auth.hashers import Argon2PasswordHasher


class Argon2Hasher(Argon2PasswordHasher):
    time_cost = 2
    memory_cost = 19 * 1024
    parallelism = 1
