"""The site's addresses: django-newsletter's own, so that each reader's link can be made."""

from django.urls import include, path  # type: ignore[import-not-found]  # in django-newsletter's environment alone

urlpatterns = [path("newsletter/", include("newsletter.urls"))]
