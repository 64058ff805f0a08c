"""Networks taught classes of one's own."""
