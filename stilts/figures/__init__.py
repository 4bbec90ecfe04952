"""From tables to figures: Vega-Lite specifications, drawn as SVG and PNG, and tables for papers."""
