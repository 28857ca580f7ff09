from django.apps import AppConfig


class SpendConfig(AppConfig):
    name = "spend"
    verbose_name = "Spend"

    def ready(self) -> None:
        from spend.closing.zones import keep_sealed_days
        from tenants.signals import zone_changing

        zone_changing.connect(keep_sealed_days, dispatch_uid="spend.closing.zones")
