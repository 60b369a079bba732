"""Addresses of the gate's pages."""

from django.urls import path

from gate import pages

urlpatterns = [
    path("gate", pages.gates, name="gates"),
    path("gate/worker.js", pages.worker, name="gate-worker"),
    path("gate/shell", pages.shell, name="gate-shell"),
    path("gate/<uuid:event_id>", pages.gate, name="gate"),
    path("gate/<uuid:event_id>/scan", pages.scan, name="gate-scan"),
    path("gate/<uuid:event_id>/list", pages.offline_list, name="gate-list"),
    path("gate/<uuid:event_id>/sync", pages.sync, name="gate-sync"),
    path("gate/<uuid:event_id>/counters", pages.live, name="gate-counters"),
    path("gate/<uuid:event_id>/rules", pages.rules, name="gate-rules"),
    path("gate/<uuid:event_id>/scans/<uuid:scan_id>/undo", pages.undo, name="gate-undo"),
    path("gate/<uuid:event_id>/scans/<uuid:scan_id>/resolve", pages.resolve, name="gate-resolve"),
    path("gate/<uuid:event_id>/scans/<uuid:scan_id>/identity", pages.identity, name="gate-identity"),
    path("gate/<uuid:event_id>/scans/<uuid:scan_id>/review", pages.review, name="gate-review"),
    path("gate/<uuid:event_id>/scans/<uuid:scan_id>/face", pages.face, name="gate-face"),
]
