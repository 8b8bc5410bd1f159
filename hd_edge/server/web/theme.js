// The chosen theme, set before the page is drawn; a module would come too late. No choice: as the system has it.
try {
  const theme = JSON.parse(localStorage.getItem("hd_edge.settings") ?? "{}").theme;
  if (theme === "light" || theme === "dark") document.documentElement.dataset.theme = theme;
} catch {
  // no storage, or it was damaged: settings.js tells
}
