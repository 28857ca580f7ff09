"""Operations about people, sessions, service tokens, the audit trail, projects and keys; a router each."""
