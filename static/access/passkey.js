// Passkey ceremonies: signing in, enrolling, adding a passkey, and confirming forms that are dangerous.
//   <form data-passkey="sign-in | enrol | add | recover | accept | leave">   runs that ceremony when it is sent
//   <form data-step-up>                           asks for a passkey unless one was used lately, then sends the form as it is
//   <form data-step-up="bound">                   asks each time, for exactly this address and these fields
(() => {
  "use strict";

  class Refusal extends Error {
    constructor(code, text) {
      super(text);
      this.code = code;
    }
  }

  const one = (selector, within = document) => within.querySelector(selector);

  // -- talking to the server; whatever signs in or out anywhere changes the token, so it is taken over from every answer
  const csrf = () => one('meta[name="csrf-token"]')?.content ?? "";
  const takeCsrf = (token) => {
    const meta = one('meta[name="csrf-token"]');
    if (meta) meta.content = token;
    for (const field of document.querySelectorAll('input[name="csrfmiddlewaretoken"]')) field.value = token;
  };
  const isJson = (response) => /json/.test(response.headers.get("content-type") ?? "");
  const post = (path, body) =>
    fetch(path, {
      method: "POST",
      credentials: "same-origin",
      headers: { "Content-Type": "application/json", Accept: "application/json", "X-CSRFToken": csrf() },
      body: JSON.stringify(body),
    });
  const send = async (path, body) => {
    let response;
    try {
      response = await post(path, body);
      if (response.status === 403 && !isJson(response)) {
        // the token is older than the session, as after signing in again in another tab
        takeCsrf((await (await fetch("/session", { headers: { Accept: "application/json" } })).json()).csrf);
        response = await post(path, body);
      }
    } catch {
      throw new Refusal("unreachable", "SpendOps does not answer. Check the connection, then try again.");
    }
    const answer = isJson(response) ? await response.json() : {};
    if (!response.ok) throw new Refusal(answer.code ?? "failed", answer.detail ?? `SpendOps answered ${response.status}. Try again.`);
    if (answer.csrf) takeCsrf(answer.csrf);
    return answer;
  };

  // -- talking to the authenticator
  const requireSupport = () => {
    if (window.PublicKeyCredential?.parseCreationOptionsFromJSON && navigator.credentials) return;
    throw new Refusal(
      "unsupported",
      window.isSecureContext
        ? "This browser cannot use passkeys. Use a current Firefox, Chrome, Edge or Safari."
        : "Browsers use passkeys over https or at localhost only. Open SpendOps at its https address.",
    );
  };
  const create = async (options) => {
    requireSupport();
    return (await navigator.credentials.create({ publicKey: PublicKeyCredential.parseCreationOptionsFromJSON(options) })).toJSON();
  };
  const get = async (options) => {
    requireSupport();
    return (await navigator.credentials.get({ publicKey: PublicKeyCredential.parseRequestOptionsFromJSON(options) })).toJSON();
  };
  const TOLD = {
    NotAllowedError: "Cancelled, or the time was up. Nothing was changed: try again.",
    AbortError: "Cancelled. Nothing was changed: try again.",
    InvalidStateError: "This device holds a passkey of this account already. Use another device or security key.",
    NotSupportedError: "This device cannot make such a passkey. Use another device or security key.",
    ConstraintError: "This device cannot check that it is you by finger, face or PIN. Use another device or security key.",
    SecurityError: `Passkeys do not work at ${location.origin}. Open SpendOps at the address that it was set up with.`,
  };
  const told = (error) => {
    if (error instanceof Refusal) return error.message;
    return TOLD[error.name] ?? `The browser could not use a passkey (${error.name}). Try again.`;
  };

  // -- what a person sees of it
  const say = (form, text, link) => {
    let notice = one("[data-passkey-message]", form);
    if (!notice) {
      notice = document.createElement("div");
      notice.className = "notice notice-bad";
      notice.setAttribute("role", "alert");
      notice.setAttribute("data-passkey-message", "");
      form.prepend(notice);
    }
    const line = document.createElement("p");
    line.textContent = text;
    if (link) {
      const anchor = document.createElement("a");
      anchor.href = link.href;
      anchor.textContent = link.text;
      if (link.elsewhere) anchor.target = "_blank";
      line.append(" ", anchor);
    }
    const inner = document.createElement("div");
    inner.className = "notice-text";
    inner.append(line);
    notice.replaceChildren(inner);
    notice.hidden = !text;
  };
  const busy = (form, on) => {
    form.toggleAttribute("data-busy", on);
    form.setAttribute("aria-busy", String(on));
    for (const button of form.querySelectorAll('button[type="submit"], button:not([type])')) {
      button.setAttribute("aria-disabled", String(on));
    }
  };
  const during = async (form, work) => {
    if (form.hasAttribute("data-busy")) return;
    busy(form, true);
    say(form, "");
    try {
      await work();
    } catch (error) {
      if (error instanceof Refusal && error.code === "sign_in_required") {
        const text = "Your session has ended. What you typed is still here: sign in again in another tab, then send it again.";
        say(form, text, { href: "/sign-in", text: "Sign in", elsewhere: true });
      } else {
        say(form, told(error));
      }
    } finally {
      busy(form, false);
    }
  };

  // -- signing in, enrolling, adding
  //    a page of a one-time link says where its endpoints are: <div data-link-page="/enrol"> has /enrol/look, /enrol/begin …
  const linkToken = () => location.hash.slice(1);
  const linkPage = () => one("[data-link-page]").dataset.linkPage;
  const confirmFresh = async (action) => {
    const begun = await send("/step-up/begin", action ? { action } : {});
    if (!begun.fresh) await send("/step-up/finish", { credential: await get(begun.options) });
  };
  const CEREMONIES = {
    "sign-in": async (form) => {
      const { options } = await send("/sign-in/begin", {});
      const credential = await get(options);
      const done = await send("/sign-in/finish", { credential, next: form.dataset.next ?? "" });
      if ("stay" in form.dataset) location.reload();
      else location.assign(done.next);
    },
    enrol: async (form) => {
      const link = { ...Object.fromEntries(new FormData(form)), token: linkToken() };
      const { options } = await send(`${linkPage()}/begin`, link);
      const credential = await create(options);
      const done = await send(`${linkPage()}/finish`, { ...link, credential });
      location.replace(done.next); // the used link leaves the history
    },
    accept: async () => {
      const done = await send(`${linkPage()}/accept`, { token: linkToken() });
      location.replace(done.next);
    },
    leave: async () => {
      await send("/sign-out", {});
      location.reload();
    },
    recover: async (form) => {
      const done = await send("/recover/redeem", { code: form.elements.namedItem("code").value });
      location.replace(done.next);
    },
    add: async (form) => {
      const name = form.elements.namedItem("name").value;
      await confirmFresh();
      const { options } = await send("/passkeys/begin", { name });
      const credential = await create(options);
      const done = await send("/passkeys/finish", { name, credential });
      location.assign(done.next);
    },
  };

  // -- step-up: hold the form back, confirm, then send it with everything that was typed
  const confirmed = new WeakSet();
  const described = (form, submitter) => {
    const target = form.getAttribute("hx-post") ?? submitter?.getAttribute("formaction") ?? form.getAttribute("action") ?? "";
    const address = new URL(target, location.href);
    const fields = [...new FormData(form, submitter)].filter(([, value]) => typeof value === "string");
    return { method: "POST", path: address.pathname, query: address.search.slice(1), fields };
  };
  const stepUp = (form, submitter) =>
    during(form, async () => {
      await confirmFresh(form.dataset.stepUp === "bound" ? described(form, submitter) : null);
      confirmed.add(form);
      form.requestSubmit(submitter);
    });

  document.addEventListener(
    "submit",
    (event) => {
      const form = event.target;
      if (form.matches("form[data-passkey]")) {
        event.preventDefault();
        during(form, () => CEREMONIES[form.dataset.passkey](form));
      } else if (form.matches("form[data-step-up]") && !confirmed.delete(form)) {
        event.preventDefault();
        event.stopImmediatePropagation(); // htmx must not send it yet
        stepUp(form, event.submitter);
      }
    },
    true, // before the form's own listeners
  );

  // -- pages for people who are not signed in: say at once when this can never work here
  const outside = one("[data-site]");
  const show = (state) => {
    for (const part of document.querySelectorAll("[data-state]")) part.hidden = part.dataset.state !== state;
  };
  const rightPlace = (form) => {
    const site = outside.dataset.site;
    if (location.origin !== site) {
      const here = location.pathname + location.search + location.hash;
      say(form, `Passkeys belong to one address, and this is not it (${location.origin}). Open`, { href: site + here, text: site });
      return false;
    }
    try {
      requireSupport();
    } catch (error) {
      say(form, told(error));
      return false;
    }
    return true;
  };
  const openLink = async (form) => {
    addEventListener("hashchange", () => location.reload());
    if (!linkToken()) return show("no-link");
    if (!rightPlace(form)) return show(form.closest("[data-state]").dataset.state);
    try {
      const link = await send(`${linkPage()}/look`, { token: linkToken() });
      for (const part of document.querySelectorAll("[data-link]")) part.textContent = link[part.dataset.link];
      show(link.state);
    } catch (error) {
      one("[data-link-error]").textContent = told(error);
      show("refused");
    }
  };
  if (outside) {
    const form = one("form[data-passkey]", outside);
    if (one("[data-link-page]")) openLink(form);
    else rightPlace(form);
  }
})();
