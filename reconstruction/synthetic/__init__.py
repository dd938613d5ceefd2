"""The demo quarry: simulated flights with exact truth."""

from reconstruction.synthetic.flight import Flight, load_flight, render_flight
from reconstruction.synthetic.options import FlightOptions

__all__ = ["Flight", "FlightOptions", "load_flight", "render_flight"]
