"""A Django REST framework application with its three paginations."""

from __future__ import annotations

import os

import django
from django.conf import settings

settings.configure(
    DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": os.environ["APP_DATABASE"]}},
    INSTALLED_APPS=["django.contrib.auth", "django.contrib.contenttypes", "rest_framework"],
    ROOT_URLCONF=__name__,
    ALLOWED_HOSTS=["*"],
    SECRET_KEY="of-a-test",
    USE_TZ=True,
    REST_FRAMEWORK={"DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"]},
)
django.setup()

from django.core.asgi import get_asgi_application  # noqa: E402 - needs the settings above
from django.db import connection, models  # noqa: E402 - needs the settings above
from django.urls import path  # noqa: E402 - needs the settings above
from rest_framework import generics, pagination, serializers  # noqa: E402 - needs the settings above

TOTAL = 237


class Item(models.Model):
    name = models.CharField(max_length=50)

    class Meta:
        app_label = "shop"

    def __str__(self):
        return self.name


class ItemSerializer(serializers.ModelSerializer):
    class Meta:
        model = Item
        fields = ["id", "name"]


class ByPage(pagination.PageNumberPagination):
    page_size = 50
    page_size_query_param = "page_size"


class ByOffset(pagination.LimitOffsetPagination):
    default_limit = 50
    max_limit = 60


class ByCursor(pagination.CursorPagination):
    page_size = 50
    ordering = "name"  # names come twice: the cursor counts on within ties


def listed(style):
    class Items(generics.ListAPIView):
        queryset = Item.objects.order_by("id")
        serializer_class = ItemSerializer
        pagination_class = style

    return Items.as_view()


urlpatterns = [path("page/", listed(ByPage)), path("offset/", listed(ByOffset)), path("cursor/", listed(ByCursor))]

with connection.schema_editor() as editor:
    editor.create_model(Item)
Item.objects.bulk_create(Item(id=n, name=f"item {n // 2:03}") for n in range(1, TOTAL + 1))
connection.close()
application = get_asgi_application()
