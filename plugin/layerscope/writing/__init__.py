"""Messages -> event file, through the user's own SummaryWriter. Imports no torch."""

from layerscope.writing.message_writer import MessageWriter

__all__ = ["MessageWriter"]
