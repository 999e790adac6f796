// Light or dark as somebody chose it, before anything is painted. Without a choice the system's setting counts.

try {
    const chosen = localStorage.getItem("mmscope-theme");
    if (chosen === "light" || chosen === "dark") document.documentElement.dataset.theme = chosen;
} catch {
    // Storage may be forbidden.
}
