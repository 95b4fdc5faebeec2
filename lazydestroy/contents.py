"""Serve notebooks to JupyterLab so that opening one does not mark it as changed.

When a kernel starts, JupyterLab writes the kernel's version of Python and its full name into the open notebook. A
notebook in a repository can't hold the version of every reader's Python, so the tab shows ● before the reader has
touched anything. This contents manager fills both in on the way to the browser; the file stays as it is. ``make lab``
uses it, and so can any Jupyter server::

    jupyter lab --ServerApp.contents_manager_class=lazydestroy.contents.CourseContents

It needs Jupyter's server, which comes with the extra ``lab``.
"""

from __future__ import annotations

from typing import Any

from ipykernel.ipkernel import IPythonKernel
from jupyter_client.kernelspec import KernelSpecManager, NoSuchKernel
from jupyter_server.services.contents.largefilemanager import AsyncLargeFileManager


class CourseContents(AsyncLargeFileManager):
    """Jupyter's own contents manager; a notebook for Python comes with what its kernel will say of itself."""

    async def get(
        self,
        path: str,
        content: bool = True,
        type: str | None = None,
        format: str | None = None,
        **more: Any,
    ) -> dict[str, Any]:
        """Return a file as Jupyter does. The kernel is taken to be of the server's own environment."""
        model: dict[str, Any] = await super().get(path, content=content, type=type, format=format, **more)
        if content and model["type"] == "notebook":
            self._introduce_kernel(model["content"]["metadata"])
        return model

    def _introduce_kernel(self, metadata: dict[str, Any]) -> None:
        named = metadata.get("kernelspec", {})
        if named.get("language") != "python" or "name" not in named:
            return
        specs = self.parent.kernel_spec_manager if self.parent is not None else KernelSpecManager()
        try:
            spec = specs.get_kernel_spec(named["name"])
        except NoSuchKernel:
            return
        metadata["kernelspec"] = {**named, "display_name": spec.display_name, "language": spec.language}
        metadata["language_info"] = dict(IPythonKernel.language_info)


__all__ = ["CourseContents"]
