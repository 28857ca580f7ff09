"""Who you are: people, passkeys, sessions, enrolment, step-up. What a person may do is `tenants`' affair."""
