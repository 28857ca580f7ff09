from django.apps import AppConfig
from django.core.checks import Tags, register
from django.db.backends.signals import connection_created
from django.db.models.signals import post_migrate


class TenantsConfig(AppConfig):
    name = "tenants"
    verbose_name = "Tenants"

    def ready(self) -> None:
        from tenants import checks, walls

        connection_created.connect(walls.listen, dispatch_uid="tenants.walls")
        post_migrate.connect(walls.build, dispatch_uid="tenants.walls")
        register(checks.peppers_are_given, Tags.database)
