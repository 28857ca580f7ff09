// Small behaviours that pages ask for by attribute. No inline handlers: the content security policy allows none.
(() => {
  "use strict";
  const root = document.documentElement;
  const one = (selector, within = document) => within.querySelector(selector);
  const all = (selector, within = document) => [...within.querySelectorAll(selector)];

  // -- theme: kept in a cookie, so that the server writes it into the next page before the first paint
  const setTheme = (theme) => {
    root.setAttribute("data-bs-theme", theme);
    root.setAttribute("data-theme-chosen", "");
    const secure = location.protocol === "https:" ? "; secure" : "";
    document.cookie = `theme=${theme}; path=/; max-age=31536000; samesite=lax${secure}`;
  };

  // -- toasts: a line that says what just happened
  const toast = (text) => {
    const region = one("[data-toasts]");
    if (!region) return;
    const line = document.createElement("div");
    line.className = "toast-line";
    line.textContent = text;
    region.replaceChildren(line);
    window.setTimeout(() => line.remove(), 4000);
  };

  // -- copy: <button data-copy="#id-of-the-field">
  const copy = async (button) => {
    const field = one(button.dataset.copy);
    const text = field.value ?? field.textContent;
    try {
      await navigator.clipboard.writeText(text.trim());
      toast("Copied");
    } catch {
      const range = document.createRange();
      range.selectNodeContents(field);
      getSelection().removeAllRanges();
      getSelection().addRange(range);
      toast("Selected: copy it with Ctrl+C");
    }
  };

  // -- tabs: [data-tabs] holds [role=tab] buttons whose aria-controls name their panels
  const showTab = (tab) => {
    for (const other of all("[role=tab]", tab.closest("[data-tabs]"))) {
      const chosen = other === tab;
      other.setAttribute("aria-selected", String(chosen));
      other.tabIndex = chosen ? 0 : -1;
      document.getElementById(other.getAttribute("aria-controls")).hidden = !chosen;
    }
  };
  const moveInTabs = (event) => {
    const tab = event.target.closest?.("[data-tabs] [role=tab]");
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (!tab || !step) return;
    const tabs = all("[role=tab]", tab.closest("[data-tabs]"));
    const next = tabs[(tabs.indexOf(tab) + step + tabs.length) % tabs.length];
    showTab(next);
    next.focus();
  };

  // -- the sidebar on a phone
  const setMenu = (open) => {
    one("[data-shell]").dataset.menu = open ? "open" : "";
    one("[data-menu-toggle]").setAttribute("aria-expanded", String(open));
  };

  document.addEventListener("click", (event) => {
    const target = event.target;
    const toggle = target.closest("[data-theme-toggle]");
    if (toggle) {
      setTheme(root.getAttribute("data-bs-theme") === "dark" ? "light" : "dark");
      document.dispatchEvent(new CustomEvent("spendops:theme"));
    }
    const menu = target.closest("[data-menu-toggle]");
    if (menu) setMenu(one("[data-shell]").dataset.menu !== "open");
    const fold = target.closest("[data-fold-toggle]");
    if (fold) {
      const open = fold.closest("[data-fold]").toggleAttribute("data-open");
      fold.setAttribute("aria-expanded", String(open));
    }
    const copier = target.closest("[data-copy]");
    if (copier) copy(copier);
    const tab = target.closest("[data-tabs] [role=tab]");
    if (tab) showTab(tab);
    for (const details of all("details[data-menu][open]")) if (!details.contains(target)) details.open = false;
  });
  document.addEventListener("keydown", (event) => {
    moveInTabs(event);
    if (event.key !== "Escape") return;
    if (one("[data-shell]")?.dataset.menu === "open") {
      setMenu(false);
      one("[data-menu-toggle]").focus();
    }
    for (const details of all("details[data-menu][open]")) {
      details.open = false;
      one("summary", details).focus();
    }
  });

  // -- a form that asks for it is sent when a choice in it changes: <form data-send-on-change>
  document.addEventListener("change", (event) => {
    const form = event.target.closest("form[data-send-on-change]");
    if (form && event.target.matches("select, input[type=checkbox], input[type=radio]")) form.requestSubmit();
  });
  // -- empty fields of a filter form stay out of the address
  document.addEventListener("formdata", (event) => {
    if (!event.target.matches("form[data-send-on-change], form[data-filter]")) return;
    for (const [name, value] of [...event.formData.entries()]) if (value === "") event.formData.delete(name);
  });

  // -- a field that another depends on: <div data-shown-for="period=custom">
  const showDependents = () => {
    for (const part of all("[data-shown-for]")) {
      const [name, value] = part.dataset.shownFor.split("=");
      const control = part.closest("form").elements[name];
      part.hidden = control.value !== value;
    }
  };
  document.addEventListener("change", showDependents);
  showDependents();

  // -- a row of sections that is wider than a phone shows the one that is open
  for (const nav of all(".section-nav")) {
    const here = one("[aria-current]", nav);
    if (here) nav.scrollLeft += here.getBoundingClientRect().left - nav.getBoundingClientRect().left - (nav.clientWidth - here.clientWidth) / 2;
  }

  // -- htmx: the CSRF token goes with every request that writes; a hidden page does not refresh itself, and a refresh says that nobody
  //    asked for it, so that it keeps no session alive
  document.addEventListener("htmx:config:request", (event) => {
    const { ctx } = event.detail;
    const token = one('meta[name="csrf-token"]')?.content;
    if (token && !/^(GET|HEAD)$/i.test(ctx.request.method)) ctx.request.headers["X-CSRFToken"] = token;
    if (!ctx.sourceElement.hasAttribute("data-live")) return;
    ctx.request.headers["X-SpendOps-Background"] = "1";
    if (document.hidden) event.preventDefault();
  });
})();
