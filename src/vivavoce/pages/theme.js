// The chosen colours, before anything is painted: a classic script, since modules come too late.
document.documentElement.dataset.theme = localStorage.getItem("vivavoce.theme") ?? "auto";
