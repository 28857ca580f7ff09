// Names and wildcards as Python's fnmatch reads them: `*`, `?`, `[a-c]`, `[!a-c]`. Case does not count.
//
// Matched step by step and never as a regular expression, so that no pattern makes matching slow.

/** Whether one of several patterns matches one of several names, which are lower case already. */
export const anyMatches = (patterns, names) =>
  patterns.some((pattern) => {
    const tokens = tokensOf(pattern.toLowerCase());
    return names.some((name) => matches(tokens, Array.from(name)));
  });

const STAR = Symbol("*");

function matches(tokens, letters) {
  let at = 0;
  let token = 0;
  let star = -1; // the last star, and from where what follows it was tried
  let from = 0;
  while (at < letters.length) {
    if (token < tokens.length && tokens[token] === STAR) {
      star = token++;
      from = at;
    } else if (token < tokens.length && tokens[token](letters[at])) {
      token++;
      at++;
    } else if (star >= 0) {
      token = star + 1;
      at = ++from;
    } else {
      return false;
    }
  }
  while (tokens[token] === STAR) token++;
  return token === tokens.length;
}

function tokensOf(pattern) {
  const letters = Array.from(pattern);
  const tokens = [];
  for (let at = 0; at < letters.length; at++) {
    const letter = letters[at];
    if (letter === "*") {
      tokens.push(STAR);
    } else if (letter === "?") {
      tokens.push(() => true);
    } else if (letter === "[") {
      const end = closing(letters, at + 1);
      if (end === -1) {
        tokens.push(equals("["));
      } else {
        tokens.push(oneOf(letters.slice(at + 1, end)));
        at = end;
      }
    } else {
      tokens.push(equals(letter));
    }
  }
  return tokens;
}

const equals = (wanted) => (letter) => letter === wanted;

// A closing bracket that comes first, or first after `!`, stands for itself.
function closing(letters, start) {
  let at = start;
  if (letters[at] === "!") at++;
  if (letters[at] === "]") at++;
  return letters.indexOf("]", at);
}

function oneOf(content) {
  const negated = content[0] === "!";
  // Hyphens between two letters make a range; one at either end, or right after a range, stands for itself.
  const parts = [];
  let start = 0;
  let search = negated ? 2 : 1;
  for (;;) {
    const hyphen = content.indexOf("-", search);
    if (hyphen === -1) break;
    parts.push(content.slice(start, hyphen));
    start = hyphen + 1;
    search = hyphen + 3;
  }
  if (start < content.length) parts.push(content.slice(start));
  else parts.at(-1).push("-");
  // a range whose end comes before its start holds nothing
  for (let index = parts.length - 1; index > 0; index--) {
    const [before, after] = [parts[index - 1], parts[index]];
    if (code(before.at(-1)) > code(after[0])) parts.splice(index - 1, 2, [...before.slice(0, -1), ...after.slice(1)]);
  }
  if (negated) parts[0] = parts[0].slice(1);
  const single = new Set(parts.flat());
  const ranges = parts.slice(1).map((part, index) => [code(parts[index].at(-1)), code(part[0])]);
  return (letter) => {
    const at = code(letter);
    const inside = single.has(letter) || ranges.some(([least, most]) => least <= at && at <= most);
    return inside !== negated;
  };
}

const code = (letter) => letter?.codePointAt(0) ?? -1;
