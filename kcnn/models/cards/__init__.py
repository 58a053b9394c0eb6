"""The weights cards: every module in this folder has `CARDS`, and is found by lying here."""
