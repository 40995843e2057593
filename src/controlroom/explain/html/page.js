"use strict";
// The page is complete without this: it opens what a link points into, and moves between rows by arrow keys.
const rows = (tree) => [...tree.querySelectorAll("summary")].filter((row) => row.checkVisibility());
const opened = (place, isOpen) => {
  for (const one of place.querySelectorAll("details")) one.open = isOpen;
};
const reveal = () => {
  const target = location.hash && document.getElementById(decodeURIComponent(location.hash.slice(1)));
  if (!target) return;
  for (let one = target; one; one = one.parentElement) if (one.tagName === "DETAILS") one.open = true;
  const whole = target.querySelector(":scope > .whole");
  if (whole) whole.open = true;
  target.scrollIntoView({ block: "start" });
};
const arrow = (event) => {
  const row = event.target.closest("summary.row, summary.more");
  if (!row || event.altKey || event.ctrlKey || event.metaKey) return;
  const all = rows(row.closest(".tree"));
  const at = all.indexOf(row);
  const node = row.parentElement;
  const above = node.parentElement.closest("details");
  const to = {
    ArrowDown: () => all[at + 1],
    ArrowUp: () => all[at - 1],
    Home: () => all[0],
    End: () => all[all.length - 1],
    ArrowRight: () => (node.open ? all[at + 1] : ((node.open = true), row)),
    ArrowLeft: () => (node.open ? ((node.open = false), row) : above?.matches(".tree details") && above.querySelector("summary")),
  }[event.key];
  if (!to) return;
  event.preventDefault();
  (to() || row).focus();
};
for (const legend of document.querySelectorAll(".legend")) {
  const tools = document.createElement("span");
  tools.className = "tools";
  for (const [word, isOpen] of [["Open all", true], ["Close all", false]]) {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = word;
    button.addEventListener("click", () => opened(legend.parentElement.querySelector(".tree"), isOpen));
    tools.append(button);
  }
  legend.append(tools);
}
document.addEventListener("keydown", arrow);
addEventListener("hashchange", reveal);
reveal();
