"""What people look at of a plant model: lists, sheets, the plotted reference batch."""
