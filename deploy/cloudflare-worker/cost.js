// Cost: units times price, an exact integer of pico-USD (wire/cost.py). Money is BigInt and never a Number.

import { INPUT_TOKENS, OPTIONAL, fallbacksOf } from "./units.js";

/** The total is null when a unit was used that has no price: unpriced is not free. */
export function cost(units, prices) {
  const used = Object.entries(units).filter(([, count]) => count > 0);
  const context = used.reduce((sum, [unit, count]) => (INPUT_TOKENS.has(unit) ? sum + BigInt(count) : sum), 0n);
  const unpriced = [];
  let total = 0n;
  for (const [unit, count] of used) {
    const pricedAs = [unit, ...fallbacksOf(unit)].find((candidate) => Object.hasOwn(prices, candidate));
    if (pricedAs !== undefined) total += BigInt(count) * at(prices[pricedAs], context);
    else if (!OPTIONAL.has(unit)) unpriced.push(unit);
  }
  return { total: unpriced.length ? null : total, unpriced };
}

// A price may depend on how long the context is: above a start, that tier's price holds for all units.
function at(price, context) {
  if (typeof price === "number") return BigInt(price);
  const tier = price.tiers.findLast(([start]) => context > BigInt(start));
  return BigInt(tier ? tier[1] : price.base);
}
