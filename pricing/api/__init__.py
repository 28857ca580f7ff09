"""Operations of the API about prices."""
