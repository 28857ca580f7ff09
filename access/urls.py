"""Addresses of signing in, enrolling, recovering, confirming, and one's own passkeys and sessions."""

from __future__ import annotations

from django.urls import path

from access.views import confirming, enrolling, passkeys, recovering, sessions, signing_in

app_name = "access"
urlpatterns = [
    path("sign-in", signing_in.sign_in, name="sign_in"),
    path("sign-in/begin", signing_in.sign_in_begin, name="sign_in_begin"),
    path("sign-in/finish", signing_in.sign_in_finish, name="sign_in_finish"),
    path("sign-out", signing_in.sign_out, name="sign_out"),
    path("session", signing_in.session, name="session"),
    path("enrol", enrolling.enrol, name="enrol"),
    path("enrol/look", enrolling.enrol_look, name="enrol_look"),
    path("enrol/begin", enrolling.enrol_begin, name="enrol_begin"),
    path("enrol/finish", enrolling.enrol_finish, name="enrol_finish"),
    path("step-up/begin", confirming.step_up_begin, name="step_up_begin"),
    path("step-up/finish", confirming.step_up_finish, name="step_up_finish"),
    path("passkeys", passkeys.passkeys, name="passkeys"),
    path("passkeys/begin", passkeys.add_begin, name="add_begin"),
    path("passkeys/finish", passkeys.add_finish, name="add_finish"),
    path("passkeys/<int:passkey_id>/rename", passkeys.rename, name="rename"),
    path("passkeys/<int:passkey_id>/remove", passkeys.remove, name="remove"),
    path("passkeys/<int:passkey_id>/disable", passkeys.disable, name="disable"),
    path("passkeys/<int:passkey_id>/enable", passkeys.enable, name="enable"),
    path("recovery-codes", recovering.codes, name="recovery_codes"),
    path("recover", recovering.recover, name="recover"),
    path("recover/redeem", recovering.redeem, name="redeem"),
    path("sessions", sessions.sessions, name="sessions"),
    path("sessions/end-others", sessions.end_others, name="end_others"),
    path("sessions/<str:kept_key>/end", sessions.end, name="end_session"),
]
