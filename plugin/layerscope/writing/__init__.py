"""Messages -> event file, through the user's own SummaryWriter. Imports no torch."""

from layerscope.writing.message_writer import MessageWriter
from layerscope.writing.schedule import EVERY, MAX_BYTES, Schedules

__all__ = ["EVERY", "MAX_BYTES", "MessageWriter", "Schedules"]
