"""The composition root: settings, URLs, the API, Celery and its timetable, WSGI. Imported by nobody."""
