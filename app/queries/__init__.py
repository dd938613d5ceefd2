"""Reading: nothing here changes a row."""
