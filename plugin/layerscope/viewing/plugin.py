"""The TensorBoard plugin: hangs the routes into TensorBoard and names the tab."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from tensorboard.plugins import base_plugin

from layerscope import wire
from layerscope.viewing.routes import Routes


class LayerscopePlugin(base_plugin.TBPlugin):
    """Serves structure, series, maps and images of the log directory on a tab of its own."""

    plugin_name = wire.PLUGIN

    def __init__(self, context: base_plugin.TBContext) -> None:
        """Do nothing but remember the data provider: TensorBoard waits for this."""
        super().__init__(context)
        provider: Any = context.data_provider  # TensorBoard always gives one; None is for tests of its own
        self._routes = Routes(provider)

    def get_plugin_apps(self) -> dict[str, Callable[..., Any]]:
        """Return route -> WSGI application."""
        return self._routes.apps()

    def is_active(self) -> bool:
        """Return False: TensorBoard shows the tab where ``data_plugin_names`` have data, which costs nothing."""
        return False

    def data_plugin_names(self) -> Sequence[str]:  # pyright: ignore[reportIncompatibleMethodOverride]
        """Return the plugin names under which our data is stored."""
        return (wire.PLUGIN, wire.PLUGIN_BLOBS)

    def frontend_metadata(self) -> base_plugin.FrontendMetadata:
        """Return where the tab's module is and what the tab is called."""
        return base_plugin.FrontendMetadata(es_module_path="/static/index.js", tab_name="Layerscope")
