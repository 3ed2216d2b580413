"""Event file -> HTTP: the TensorBoard plugin, and ``read`` for Python. Imports no torch.

``store.py`` reads messages through a TensorBoard data provider, ``routes.py`` answers requests with them,
``plugin.py`` hangs the routes into TensorBoard, ``reader.py`` is ``layerscope.read``. Routes: ``http_api.md``.
"""
