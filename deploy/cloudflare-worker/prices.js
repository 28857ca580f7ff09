// The price book: the model that a provider means by a name, and its prices at a moment (wire/prices.py).

import { Unreadable } from "./documents.js";

const NAME_LONGEST = 512;
const COMPACT_DATE = /-(20\d{2})(0[1-9]|1[0-2])(0[1-9]|[12]\d|3[01])(?=-|:|$)/g;

/** What a call's service tier says about which price variants hold. */
export function contextOf(tier) {
  if (!tier) return {};
  if (tier === "batch") return { service_tier: tier, processing: tier };
  if (tier === "fast") return { service_tier: tier, speed: tier };
  return { service_tier: tier };
}

export class PriceBook {
  #providers = new Map();
  #models;

  /** Throws Unreadable when a rule is of a kind that is not known. */
  constructor(blob) {
    this.version = blob.version;
    this.#models = blob.models;
    for (const [provider, { rules, fallbacks = [] }] of Object.entries(blob.providers)) {
      this.#providers.set(provider, { rules: rules.map(([clause, model]) => [matcher(clause), model]), fallbacks });
    }
  }

  /** The model that a provider means by a name: its own rules in their order, then those of its fallbacks. */
  find(provider, name) {
    const found = this.#providers.get(provider);
    if (!found || Array.from(name).length > NAME_LONGEST) return null;
    const lowered = name.toLowerCase();
    for (const candidate of new Set([lowered, dashed(lowered)])) {
      for (const owner of [provider, ...found.fallbacks]) {
        const rule = this.#providers.get(owner)?.rules.find(([matches]) => matches(candidate));
        if (rule) return new Match(owner, rule[1], this.#models[owner][rule[1]], owner !== provider);
      }
    }
    return null;
  }
}

class Match {
  #prices;
  #borrowed;

  constructor(provider, model, prices, borrowed) {
    this.pricedAs = borrowed ? `${provider}/${model}` : model;
    this.#prices = prices;
    this.#borrowed = borrowed;
  }

  /** The prices by unit at a moment (Unix ms). What an owner charges for its own tiers says nothing of who borrows. */
  pricesAt(now, context) {
    const { periods, variants = [] } = this.#prices;
    const chosen = periods.findLast((period) => holds(period, now)) ?? periods[0];
    const prices = { ...chosen.prices };
    if (this.#borrowed || Object.keys(context).length === 0) return prices;
    const replaced = new Set();
    for (const variant of variants) {
      if (!holds(variant, now) || !Object.entries(variant.when).every(([name, value]) => context[name] === value)) continue;
      for (const [unit, price] of Object.entries(variant.prices)) {
        if (!replaced.has(unit)) prices[unit] = price;
        replaced.add(unit);
      }
    }
    return prices;
  }
}

// From a UTC day, until another, within hours of the UTC day, all of them, or always. Hours may cross midnight.
function holds({ from = null, until = null, hours = null }, now) {
  const [day, time] = new Date(now).toISOString().split("T");
  if (from !== null && day < from) return false;
  if (until !== null && day >= until) return false;
  if (hours === null) return true;
  const [begin, end, at] = [...hours, time].map(microseconds);
  return begin <= end ? begin <= at && at < end : at >= begin || at < end;
}

function microseconds(text) {
  const [, hour, minute, second, fraction = ""] = /^(\d\d):(\d\d):(\d\d)(?:\.(\d+))?Z?$/.exec(text);
  return ((Number(hour) * 60 + Number(minute)) * 60 + Number(second)) * 1_000_000 + Number(fraction.padEnd(6, "0"));
}

// Some clients write `gpt-5.2-20251211` where price lists write `gpt-5.2-2025-12-11`.
function dashed(name) {
  return name.replace(COMPACT_DATE, (whole, year, month, day) => {
    const real = new Date(Date.UTC(Number(year), Number(month) - 1, Number(day))).getUTCDate() === Number(day);
    return real ? `-${year}-${month}-${day}` : whole;
  });
}

// A match clause as a function of a lower-case name.
function matcher(clause) {
  const [[kind, operand], ...more] = Object.entries(clause);
  if (more.length) throw new Unreadable(`${JSON.stringify(clause)} is not a match clause.`);
  if (kind === "or" || kind === "and") {
    const parts = operand.map(matcher);
    return kind === "or" ? (name) => parts.some((part) => part(name)) : (name) => parts.every((part) => part(name));
  }
  const lowered = String(operand).toLowerCase();
  switch (kind) {
    case "equals":
      return (name) => name === lowered;
    case "starts_with":
      return (name) => name.startsWith(lowered);
    case "ends_with":
      return (name) => name.endsWith(lowered);
    case "contains":
      return (name) => name.includes(lowered);
    case "regex":
      return expression(operand);
    default:
      throw new Unreadable(`${kind} is not a kind of match clause.`);
  }
}

function expression(source) {
  try {
    const pattern = new RegExp(source);
    return (name) => pattern.test(name);
  } catch (error) {
    throw new Unreadable(`${source} is not a regular expression: ${error.message}`);
  }
}
