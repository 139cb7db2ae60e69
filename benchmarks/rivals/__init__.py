"""Other people's Kalman filters, and the textbook's, on the tasks of ours."""
