// May this call be made? The same documents give the same answer as the gateway's own rules (gateway/rules.py).

import { within } from "./networks.js";
import { anyMatches } from "./wildcards.js";

/** What a refusal answers with, by its reason. */
export const HTTP_STATUS = {
  key_missing: 401,
  key_malformed: 401,
  key_unknown: 401,
  key_revoked: 401,
  key_disabled: 401,
  key_expired: 401,
  key_not_yet_valid: 401,
  key_wrong_environment: 401,
  network_not_allowed: 403,
  tenant_suspended: 402,
  project_suspended: 402,
  budget_exhausted: 402,
  model_not_allowed: 403,
  provider_not_allowed: 403,
  tier_not_allowed: 403,
  model_not_selected: 404,
  provider_unknown: 404,
  model_unpriced: 403,
  rate_limited: 429,
  route_unknown: 404,
  body_invalid: 400,
  body_too_large: 413,
  policy_unavailable: 503,
  outbox_unavailable: 503,
};

/** Why a call is refused: the reason code, and the sentence that a caller reads. */
export class Refusal extends Error {
  constructor(reason, message) {
    super(message);
    this.reason = reason;
  }
}

/** The first reason to refuse a call, null when there is none. `now` is Unix ms, `address` "" when it is not known. */
export function decide(policy, tenant, asked, { env, now, address }) {
  return (
    keyRefusal(policy, env, now) ??
    networkRefusal(policy, address) ??
    blockRefusal(policy, tenant, now) ??
    modelRefusal(policy, asked)
  );
}

export const wrongEnvironment = (theirs, ours) =>
  `This API key is for the environment ${theirs}; this gateway serves ${ours}.`;

function keyRefusal({ status = "active", env: theirs, not_before = 0, expires = 0 }, env, now) {
  if (status === "revoked") {
    return new Refusal("key_revoked", "This API key was revoked. Ask your administrator for a new one.");
  }
  if (status !== "active") {
    return new Refusal("key_disabled", "This API key is disabled. Ask your administrator to enable it.");
  }
  if (theirs !== env) return new Refusal("key_wrong_environment", wrongEnvironment(theirs, env));
  if (not_before && now < not_before) return new Refusal("key_not_yet_valid", "This API key is not valid yet.");
  if (expires && now >= expires) {
    return new Refusal("key_expired", "This API key has expired. Ask your administrator for a new one.");
  }
  return null;
}

function networkRefusal({ networks = [] }, address) {
  if (networks.length === 0 || within(networks, address)) return null;
  const where = printable(address) ? `from ${first(address, 45)}` : "from an unknown address";
  return new Refusal("network_not_allowed", `This API key may not be used ${where}.`);
}

function blockRefusal(policy, tenant, now) {
  if (tenant?.suspended) {
    return new Refusal("tenant_suspended", "This organisation is suspended. Ask its administrator.");
  }
  if (tenant && Object.hasOwn(tenant.stopped ?? {}, policy.project)) {
    const status = tenant.stopped[policy.project];
    return new Refusal("project_suspended", `This API key's project is ${status}. Ask its administrator.`);
  }
  // what the tenant's document says of a project is newer than what the keys' own say, which are many
  const own = tenant && policy.block?.reason === "project_suspended" ? null : policy.block;
  for (const block of [tenant?.block, own]) {
    if (!block || (block.until && now >= block.until)) continue;
    // a code of a newer version is refused all the same
    return new Refusal(Object.hasOwn(HTTP_STATUS, block.reason) ? block.reason : "budget_exhausted", block.message);
  }
  return null;
}

function modelRefusal(policy, { provider: asked, model, also = [] }) {
  const { allowed_providers = [], denied_providers = [], allowed_models = [], denied_models = [] } = policy;
  const provider = asked.toLowerCase();
  if (anyMatches(denied_providers, [provider]) || !allowed(allowed_providers, [provider])) {
    return new Refusal("provider_not_allowed", `This API key may not use the provider ${asked}.`);
  }
  for (const each of [model, ...also]) {
    const name = each.toLowerCase();
    const names = [name, `${provider}/${name}`];
    // A list of forbidden models holds for the model behind a reseller's prefix too (`openai/gpt-4o`).
    const bare = name.slice(name.lastIndexOf("/") + 1);
    if (anyMatches(denied_models, [...names, bare]) || !allowed(allowed_models, names)) {
      return new Refusal("model_not_allowed", `This API key may not use the model ${first(each, 120)}.`);
    }
  }
  return null;
}

const allowed = (patterns, names) => patterns.length === 0 || anyMatches(patterns, names);
const first = (text, most) => Array.from(text).slice(0, most).join("");
const printable = (text) => /^(?:[^\p{C}\p{Z}]| )+$/u.test(text);
