/* A quick reply in the composer: what stands there is sent as a text with placeholders (crm/placeholders.py), so the
   fan's own words come in with their braces doubled, and everything that is no known placeholder stays for the API. */

const TOKEN = /\{\{|\}\}|\{([^{}\r\n]*)\}|\{[\p{L}\p{N}_]|[{}]/gu;
const doubled = (words) => words.replace(/[{}]/g, "$&$&");

/* values: a Map from a placeholder's word to what it becomes. */
export function insertable(words, values) {
  return words.replace(TOKEN, (token, word) => {
    if (values.has(word)) return doubled(values.get(word));
    return token.length === 1 ? doubled(token) : token;
  });
}
