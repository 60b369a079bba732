from django.apps import AppConfig


class WaitingRoomConfig(AppConfig):
    name = "bookings.waitingroom"
    label = "waitingroom"
    verbose_name = "Waiting rooms"
