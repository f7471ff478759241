"""Properties of mail are not timed one by one: the machines that run them are busy."""

from hypothesis import settings

settings.register_profile("mail", deadline=None)
settings.load_profile("mail")
