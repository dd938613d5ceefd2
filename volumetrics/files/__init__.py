"""Results as files that other programs open: GIS, CAD, spreadsheets, paper."""
