def test_first(admin_client):
    assert admin_client.get("/session").json()["signed_in"] is True
    assert admin_client.tenant.name == "Default"
