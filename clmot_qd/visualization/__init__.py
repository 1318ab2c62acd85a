"""Drawing: tracks on frames, sheets of pictures. supervision and OpenCV; pictures are (H, W, 3) uint8 BGR."""

from .draw import TrackDrawer, contact_sheet, id_color, save_png

__all__ = ["TrackDrawer", "contact_sheet", "id_color", "save_png"]
