"""The routes of the application, one module for each kind of page."""
