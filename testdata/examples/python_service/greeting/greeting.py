"""What the service needs: it stands for your dependencies."""

HELLO = "ok"
