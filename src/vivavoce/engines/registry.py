"""Entry points -> engine records with a status; one bad plugin never stops the server."""
