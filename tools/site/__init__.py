"""Make the course's web site: pages to read, and JupyterLite to run them in, as a folder of static files.

    python -m tools.site                 build/site
    python -m tools.site --reading-only  without what runs in the browser

The steps are files: `pages.py` copies the notebooks for Sphinx, which turns them into pages; `core.py` compiles the
core to WebAssembly; `runtime.py` puts Pyodide, the core and the packages it needs into one folder; `lite.py` builds
JupyterLite around that.
"""
