"""The proxy that the environment names for an origin: HTTP_PROXY, HTTPS_PROXY, ALL_PROXY, NO_PROXY."""

from __future__ import annotations

from urllib.request import getproxies, proxy_bypass

from controlroom.http.addresses import Origin

__all__ = ["proxy_for"]


def proxy_for(origin: Origin) -> str | None:
    """Return the URL of the proxy for *origin*, or None."""
    if proxy_bypass(f"{origin.host}:{origin.port}"):  # NO_PROXY may name one port of a host
        return None
    proxies = getproxies()
    url = proxies.get(origin.scheme) or proxies.get("all")
    return url if not url or "://" in url else f"http://{url}"
