"""The ways a change to the catalogue may be refused, each with its stable code."""

from common.errors import Conflict, Forbidden, Invalid, NotFound


class EventNotFound(NotFound):
    message = "Event not found"


class CategoryNotFound(NotFound):
    message = "This event has no such ticket category."


class NotYourEvent(Forbidden):
    code = "not_your_event"
    message = "Only the organiser who created this event, or staff, may do that."


class EventInThePast(Invalid):
    code = "event_in_the_past"
    message = "The event would be over already. Choose a date in the future."


class BadTimes(Invalid):
    code = "invalid_times"
    message = "The event must end after it starts."


class FaceReasonMissing(Invalid):
    code = "face_reason_missing"
    message = "Say in words attendees will read why this event needs a face check."


class LivenessNeedsFaceCheck(Invalid):
    code = "liveness_needs_face_check"
    message = "Liveness is a part of the face check: switch both on, or both off."


class FaceCheckTooLate(Conflict):
    code = "face_check_too_late"
    message = "People hold or have tickets already. A face check must be announced before the first ticket is taken."


class BadCategory(Invalid):
    code = "invalid_category"
    message = "Please check the ticket categories."


class CategoryNameTaken(Conflict):
    code = "category_name_taken"
    message = "This event has a ticket category of that name already."


class EventIsOver(Conflict):
    code = "event_is_over"
    message = "This event is completed or cancelled and can not be changed any more."


class EventNotOver(Conflict):
    code = "event_not_over"
    message = "An event is completed by itself once it has ended."


class EventHasBookings(Conflict):
    code = "event_has_confirmed_bookings"
    message = "People have tickets for this event. Cancel it instead: everyone is refunded and told."


class CapacityBelowTaken(Conflict):
    code = "capacity_below_taken"
    message = "More seats than that are taken."


class SeatsInUse(Conflict):
    code = "seats_in_use"
    message = "Seats that were ever booked can not be taken out of the hall."


class CurrencyIsFixed(Conflict):
    code = "currency_is_fixed"
    message = "The currency can only be changed while the event is a draft."


class ManyCategories(Conflict):
    code = "several_categories"
    message = "This event has several ticket categories: change the capacity and price of each."
