"""Who you are: users, passkeys, sessions, enrolment, step-up."""
