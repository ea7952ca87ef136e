// The page's script: keeps what the server has drawn up to date. It draws nothing itself; without it the
// page is whole and loads itself anew.
//
//   /events        sections that all readers share, each second
//   /parts/NAME    what this reader looks at, by the query of its address
//   /?...          another view: links and the search are followed without leaving the page
//
// A token, where one is wanted, is in `token` only and goes when the page goes.
(() => {
  "use strict";

  const root = document.documentElement;
  const THEMES = ["system", "light", "dark"];
  const SILENCE_MS = 5000; // An engine sends an event a second.
  const PAUSE_MS = 1000;
  let token = null;
  let stream = null; // What cuts the stream of events.
  let lostAt = null; // When the engine was heard last, while it is not.
  let started = null; // Tells one run of the engine from the next.
  let asked = 0; // The view that was asked for last: answers to earlier ones are dropped.
  let shown = location.search; // The query of the view in place: going back changes the address before the view.

  const byId = (id) => document.getElementById(id);
  const pause = (ms) => new Promise((done) => setTimeout(done, ms));
  const parse = (html) => new DOMParser().parseFromString(html, "text/html");

  // ---- Light and dark -------------------------------------------------------------------------

  const storedTheme = () => {
    try {
      return localStorage.getItem("theme");
    } catch {
      return null; // The browser keeps nothing for this page.
    }
  };

  const setTheme = (theme) => {
    if (theme === "system") delete root.dataset.theme;
    else root.dataset.theme = theme;
    const button = byId("theme");
    if (button) button.textContent = `Theme: ${theme}`;
    try {
      localStorage.setItem("theme", theme);
    } catch {
      // Then it is for this page only.
    }
  };

  const currentTheme = () => root.dataset.theme || "system";
  const theme = storedTheme();
  if (THEMES.includes(theme) && theme !== "system") root.dataset.theme = theme;

  // ---- Asking ---------------------------------------------------------------------------------

  const ask = (url, accept, signal) => {
    const headers = { accept };
    if (token !== null) headers.authorization = `Bearer ${token}`;
    return fetch(url, { headers, signal, cache: "no-store", credentials: "omit" });
  };

  // ---- Putting new sections into their places ----------------------------------------------------

  // Changes what differs and nothing else: what has the focus keeps it, and nothing flickers.
  const morph = (from, to) => {
    if (from.nodeType !== to.nodeType || from.nodeName !== to.nodeName) {
      from.replaceWith(to.cloneNode(true));
      return;
    }
    if (from.nodeType === Node.TEXT_NODE) {
      if (from.data !== to.data) from.data = to.data;
      return;
    }
    if (from.nodeType !== Node.ELEMENT_NODE) return;
    for (const { name } of [...from.attributes]) {
      if (!to.hasAttribute(name)) from.removeAttribute(name);
    }
    for (const { name, value } of to.attributes) {
      if (from.getAttribute(name) !== value) from.setAttribute(name, value);
    }
    if (from.nodeName === "INPUT") {
      if (from !== document.activeElement) from.value = to.getAttribute("value") || "";
      return;
    }
    morphChildren(from, to);
  };

  const key = (node) => (node.dataset ? node.dataset.key : undefined);

  const morphChildren = (from, to) => {
    const known = new Map();
    for (const child of from.children) {
      if (key(child) !== undefined) known.set(key(child), child);
    }
    let place = from.firstChild;
    for (const wanted of [...to.childNodes]) {
      const same = key(wanted) === undefined ? undefined : known.get(key(wanted));
      if (same) {
        if (same === place) place = place.nextSibling;
        else from.insertBefore(same, place);
        morph(same, wanted);
      } else if (place && key(place) === undefined && key(wanted) === undefined) {
        const next = place.nextSibling;
        morph(place, wanted);
        place = next;
      } else {
        from.insertBefore(wanted.cloneNode(true), place);
      }
    }
    while (place) {
      const next = place.nextSibling;
      place.remove();
      place = next;
    }
  };

  const put = (html) => {
    for (const section of parse(html).body.children) {
      const place = section.id && byId(section.id);
      if (place) morph(place, section);
    }
  };

  // ---- Events -----------------------------------------------------------------------------------

  const heard = (event) => {
    const isNew = started !== null && started !== event.started;
    const wasLost = lostAt !== null;
    started = event.started;
    found();
    if (event.version !== root.dataset.version && token === null) {
      location.reload(); // Another version draws otherwise.
      return;
    }
    for (const html of Object.values(event.sections)) put(html);
    if (isNew || wasLost) refreshParts(true);
  };

  const lost = (why) => {
    lostAt = lostAt || new Date();
    root.dataset.lost = "";
    const line = byId("lost");
    if (!line) return;
    const since = lostAt.toISOString().slice(11, 19);
    const words = `No answer from the engine since ${since} UTC: ${why}. What is shown is of then; it is tried again each second.`;
    if (line.textContent !== words) line.textContent = words;
    line.hidden = false;
  };

  const found = () => {
    lostAt = null;
    delete root.dataset.lost;
    const line = byId("lost");
    if (line && !line.hidden) {
      line.hidden = true;
      line.textContent = "";
    }
  };

  // Reads one stream to its end. A `fetch` and not an `EventSource`, for that cannot show a token.
  const read = async () => {
    stream = new AbortController();
    const own = stream;
    let timer = setTimeout(() => own.abort(), SILENCE_MS);
    try {
      const answer = await ask("/events", "text/event-stream", own.signal);
      if (answer.status === 401 || answer.status === 403) return signOut();
      if (!answer.ok) throw new Error(`it answers ${answer.status}`);
      const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
      let rest = "";
      for (;;) {
        const { value, done } = await reader.read();
        if (done) throw new Error("it has ended the stream");
        clearTimeout(timer);
        timer = setTimeout(() => own.abort(), SILENCE_MS);
        const events = (rest + value).split("\n\n");
        rest = events.pop();
        for (const event of events) {
          const data = event.split("\n").find((line) => line.startsWith("data: "));
          if (data) heard(JSON.parse(data.slice(6)));
        }
      }
    } finally {
      clearTimeout(timer);
      own.abort();
    }
  };

  const follow = async () => {
    for (;;) {
      if (document.hidden) {
        // A page that nobody sees asks for nothing.
        await new Promise((seen) => document.addEventListener("visibilitychange", seen, { once: true }));
        continue;
      }
      try {
        await read();
      } catch (error) {
        if (!document.hidden) {
          const isSilent = error.name === "AbortError";
          lost(isSilent ? "it is silent" : error.message || "it cannot be reached");
        }
      }
      if (!byId("state")) return; // The form for a token.
      await pause(PAUSE_MS);
    }
  };

  // ---- What this reader looks at -----------------------------------------------------------------

  const isBusy = (section) =>
    ["destinations", "sources"].includes(section.dataset.part) &&
    (section.querySelector("tbody:hover") || section.querySelector("tbody :focus-visible"));

  // While a row is pointed at, rows keep their places: only their values change.
  const keepOrder = (place, section) => {
    const rows = section.querySelector("tbody");
    const fresh = new Map([...rows.children].map((row) => [key(row), row]));
    const kept = [...place.querySelectorAll("tbody > tr")].map((row) => fresh.get(key(row)) || row.cloneNode(true));
    rows.replaceChildren(...kept);
  };

  const refreshPart = async (place) => {
    const view = asked;
    const search = shown;
    const isOld = () => view !== asked || search !== shown;
    place.dataset.next = String(Date.now() + Number(place.dataset.every) * 1000);
    try {
      const answer = await ask(`/parts/${place.dataset.part}${search}`, "text/html");
      if (!answer.ok || isOld()) return;
      const section = parse(await answer.text()).body.firstElementChild;
      if (isOld() || !place.isConnected || !section) return;
      const next = place.dataset.next;
      if (isBusy(place)) keepOrder(place, section);
      section.dataset.next = next;
      morph(place, section);
    } catch {
      // The stream of events tells when the engine is gone.
    }
  };

  const refreshParts = (all) => {
    if (document.hidden || lostAt !== null) return;
    for (const place of document.querySelectorAll("[data-part]")) {
      const box = place.getBoundingClientRect();
      const isSeen = box.bottom > -200 && box.top < innerHeight + 200;
      if (all || (isSeen && Date.now() >= Number(place.dataset.next || 0))) refreshPart(place);
    }
  };

  // ---- Other views -------------------------------------------------------------------------------

  const show = async (url, how) => {
    const view = ++asked;
    let answer;
    try {
      answer = await ask(url.pathname + url.search, "text/html");
    } catch {
      lost("it cannot be reached");
      return;
    }
    if (answer.status === 401) return signOut();
    const page = parse(await answer.text());
    if (view !== asked) return;
    const main = page.querySelector("main");
    if (!main) return;
    const wasOne = byId("destination") !== null;
    if (how === "push") history.pushState(null, "", url);
    if (how === "replace") history.replaceState(null, "", url);
    shown = url.search;
    document.title = page.title;
    morph(byId("main"), main);
    const isOne = byId("destination") !== null;
    if (isOne !== wasOne && how !== "replace") {
      const heading = isOne ? byId("destination-title") : byId("main");
      heading.focus({ preventScroll: true });
      if (!url.hash) scrollTo(0, 0);
    }
    const target = url.hash && byId(url.hash.slice(1));
    if (target && how !== "replace" && (isOne !== wasOne || url.search === "")) target.scrollIntoView();
  };

  const isOurs = (link) => link && link.origin === location.origin && link.pathname === "/" && !link.target;

  // A link that changes one word of the address leaves the others.
  const addressOf = (link) => {
    const url = new URL(link.href);
    const word = link.dataset.merge;
    if (!word) return url;
    const merged = new URL(location.href);
    const value = url.searchParams.get(word);
    if (value === null) merged.searchParams.delete(word);
    else merged.searchParams.set(word, value);
    merged.hash = url.hash;
    return merged;
  };

  const onClick = (event) => {
    if (event.defaultPrevented || event.button !== 0) return;
    if (event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
    const link = event.target.closest("a[href]");
    if (!isOurs(link) || !byId("state")) return;
    const url = addressOf(link);
    const isHere = url.search === location.search;
    if (isHere && url.hash) return; // The browser goes to a section by itself.
    event.preventDefault();
    show(url, "push");
  };

  const searchAddress = (form) => {
    const url = new URL(location.href);
    const words = form.elements.q.value.trim();
    url.hash = "";
    url.searchParams.delete("page");
    if (words) url.searchParams.set("q", words);
    else url.searchParams.delete("q");
    return url;
  };

  let typing = 0;
  const onInput = (event) => {
    const form = event.target.closest("form.search");
    if (!form) return;
    clearTimeout(typing);
    typing = setTimeout(() => show(searchAddress(form), "replace"), 250);
  };

  const onSubmit = (event) => {
    if (event.target.id === "sign-in") {
      event.preventDefault();
      signIn(byId("token").value);
    } else if (event.target.matches("form.search")) {
      event.preventDefault();
      clearTimeout(typing);
      show(searchAddress(event.target), "push");
    }
  };

  // ---- The token ---------------------------------------------------------------------------------

  const signIn = async (words) => {
    token = words;
    shown = location.search;
    let refused = "The engine cannot be reached.";
    try {
      const answer = await ask(location.pathname + shown, "text/html");
      const text = await answer.text();
      if (answer.ok || answer.status === 404) {
        root.dataset.token = "";
        document.body.replaceWith(parse(text).body);
        begin();
        return;
      }
      refused = answer.status === 401 ? "No user has this token." : text;
    } catch {
      // It is told below.
    }
    token = null;
    byId("refused").textContent = refused;
    byId("token").select();
  };

  // The token is no good any more: it is asked for again.
  const signOut = () => {
    token = null;
    location.reload();
  };

  // ---- The beginning -------------------------------------------------------------------------------

  const begin = () => {
    const button = byId("theme");
    if (button) {
      button.hidden = false;
      button.textContent = `Theme: ${currentTheme()}`;
      button.addEventListener("click", () => {
        setTheme(THEMES[(THEMES.indexOf(currentTheme()) + 1) % THEMES.length]);
      });
    }
    if (byId("state")) follow();
  };

  document.addEventListener("DOMContentLoaded", () => {
    document.addEventListener("click", onClick);
    document.addEventListener("input", onInput);
    document.addEventListener("submit", onSubmit);
    document.addEventListener("visibilitychange", () => {
      if (document.hidden && stream) stream.abort();
    });
    addEventListener("popstate", () => {
      if (byId("state")) show(new URL(location.href), "none");
    });
    setInterval(() => refreshParts(false), 500);
    begin();
  });
})();
