"""The doors to what one was told and what one wants to be told."""

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.views import APIView

from accounts.api import serializers as wire
from accounts.notifications import mark_all_read, mark_read, queries
from accounts.notifications.choices import choices_of, choose
from common.api import Answer, Pages, parse_id, read
from common.errors import Invalid

FLAGS = {"": None, "true": True, "false": False}


class BadFlag(Invalid):
    code = "invalid"
    message = "Write `unread=true` or `unread=false`, or leave it out."


class NotificationsView(APIView):
    throttle_scope = "read"

    @extend_schema(
        operation_id="listNotifications",
        tags=["notifications"],
        parameters=[
            OpenApiParameter("unread", OpenApiTypes.BOOL, description="Only the unread ones, or only the read ones."),
            OpenApiParameter("group", str, description="Only this group, e.g. `waitlist`."),
            OpenApiParameter("page", int),
            OpenApiParameter("pageSize", int),
        ],
        responses=wire.NotificationOut(many=True),
        summary="What I was told, newest first",
    )
    def get(self, request: Request) -> Answer:
        flag = request.query_params.get("unread", "").lower()
        if flag not in FLAGS:
            raise BadFlag
        group = request.query_params.get("group")
        pages = Pages()
        told = queries.list_for(request.user.pk, groups=[group] if group else None, unread=FLAGS[flag])
        rows = pages.paginate_queryset(told, request, view=self) or []
        shown = [queries.Shown.of(row) for row in rows]
        return pages.get_paginated_response(wire.NotificationOut(shown, many=True).data)


class NotificationReadView(APIView):
    throttle_scope = "booking"

    @extend_schema(
        operation_id="readNotification",
        tags=["notifications"],
        request=None,
        responses=wire.NotificationOut,
        summary="Mark one as read",
    )
    def post(self, request: Request, notification_id: str) -> Answer:
        told = mark_read(user_id=request.user.pk, notification_id=parse_id(notification_id, "notification"))
        return Answer(wire.NotificationOut(queries.Shown.of(told)).data)


class NotificationsReadView(APIView):
    throttle_scope = "booking"

    @extend_schema(
        operation_id="readAllNotifications",
        tags=["notifications"],
        request=None,
        responses=wire.ReadAllOut,
        summary="Mark all as read",
    )
    def post(self, request: Request) -> Answer:
        return Answer({"read": mark_all_read(user_id=request.user.pk)})


class NotificationChoicesView(APIView):
    throttle_scope = "booking"

    @extend_schema(
        operation_id="getNotificationChoices",
        tags=["notifications"],
        responses=wire.NotificationChoicesOut,
        summary="How each group of notifications reaches me",
    )
    def get(self, request: Request) -> Answer:
        return Answer({"groups": wire.NotificationChoiceOut(choices_of(request.user.person), many=True).data})

    @extend_schema(
        operation_id="setNotificationChoices",
        tags=["notifications"],
        request=wire.NotificationChoicesIn,
        responses=wire.NotificationChoicesOut,
        summary="Choose what reaches me by mail and by text message",
        description="Groups and channels that are left out stay as they are. All of it is written, or nothing.",
    )
    def put(self, request: Request) -> Answer:
        choose(user=request.user.person, wishes=read(wire.NotificationChoicesIn, request)["groups"])
        return self.get(request)
