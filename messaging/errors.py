"""Answers what can go wrong while sending. Touches nothing."""

from crm.errors import HuntazeError, Unavailable


class SendingDisabled(Unavailable):
    """A variable that sending needs is not set; the detail names it."""

    code = "sending_disabled"


class QueueRefused(Unavailable):
    """SQS did not take the message, after the retries that made sense."""

    code = "queue_unavailable"


class LimiterUnavailable(Unavailable):
    """Redis cannot say whether a message may go out, so it may not."""

    code = "limiter_unavailable"


class MalformedBody(HuntazeError):
    """A body on the queue that no version of this project writes."""

    code = "malformed_body"


class QueueError(Exception):
    """What SQS answered, judged: `permanent` means that asking again would be answered the same.

    of_message: it is the message that SQS does not take, so no correction of rights or queues would help it.
    `reason` is a sentence for people; `code` is AWS's own.
    """

    def __init__(self, code: str, reason: str, *, permanent: bool, of_message: bool = False) -> None:
        super().__init__(f"{code}: {reason}")
        self.of_message = of_message
        self.code = code
        self.reason = reason
        self.permanent = permanent
