// Choosing rows of the list of keys: one box for the whole page, and how many are chosen.
(() => {
  "use strict";
  const form = document.querySelector("[data-choosing]");
  if (!form) return;
  const whole = form.querySelector("[data-choose-all]");
  const said = form.querySelector("[data-chosen-count]");
  const nothing = said.textContent;
  const boxes = () => [...form.querySelectorAll("[data-choose]")];

  const say = () => {
    const chosen = boxes().filter((box) => box.checked).length;
    said.textContent = chosen ? `${chosen} ${chosen === 1 ? "key" : "keys"} chosen` : nothing;
    form.toggleAttribute("data-some", chosen > 0);
    whole.checked = chosen > 0 && chosen === boxes().length;
    whole.indeterminate = chosen > 0 && !whole.checked;
  };
  form.addEventListener("change", (event) => {
    if (event.target === whole) for (const box of boxes()) box.checked = whole.checked;
    say();
  });
  // what matches is named by the filters, not by the boxes of this page
  form.addEventListener("formdata", (event) => {
    if (event.formData.has("all")) event.formData.delete("key");
    else for (const name of [...event.formData.keys()]) if (!["action", "key"].includes(name)) event.formData.delete(name);
  });
  say();
})();
