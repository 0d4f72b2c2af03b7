/* Submits guesses without reloading the page, and suggests titles. Without this script the page's form
   works alone. All texts come from the server. */
"use strict";

(() => {
  const form = document.getElementById("quiz-form");
  const field = form.elements.guess;
  const part = (name) => document.getElementById(`quiz-${name}`);

  const make = (tag, text, className) => {
    const element = document.createElement(tag);
    element.textContent = text;
    if (className) element.className = className;
    return element;
  };

  // --- State ---

  const tries = (number) => (number === 1 ? "1 try" : `${number} tries`);

  const statusText = (quiz) => {
    if (quiz.won) return "You have it!";
    if (quiz.over) return "No tries left.";
    return `${tries(quiz.left)} left${quiz.left < quiz.tries ? ", and there is a new clue" : ""}.`;
  };

  const complain = (text) => {
    document.getElementById("guess-error")?.remove();
    field.closest(".field").classList.toggle("wrong", Boolean(text));
    if (text) {
      const error = make("p", text, "error");
      error.id = "guess-error";
      error.setAttribute("role", "alert");
      field.before(error);
      field.setAttribute("aria-invalid", "true");
      field.setAttribute("aria-describedby", "guess-hint guess-error");
    } else {
      field.removeAttribute("aria-invalid");
      field.setAttribute("aria-describedby", "guess-hint");
    }
  };

  const show = (quiz) => {
    part("left").textContent = statusText(quiz);
    part("clues").replaceChildren(
      ...quiz.clues.map((clue) => {
        const pair = document.createElement("div");
        pair.append(make("dt", clue.label), make("dd", clue.text));
        return pair;
      }),
    );
    part("guesses").replaceChildren(
      ...quiz.guesses.map((guess) => {
        const item = make("li", ` ${guess.name}`, guess.right ? "right" : "missed");
        item.prepend(make("span", guess.right ? "Right:" : "Wrong:", "unseen"));
        return item;
      }),
      ...Array.from({ length: quiz.left }, () => {
        const item = make("li", "", "open");
        item.append(make("span", "Not used yet", "unseen"));
        return item;
      }),
    );
    form.elements.day.value = quiz.day;
    form.hidden = quiz.over;
    part("result").hidden = !quiz.over;
    part("answer").textContent = quiz.answer ?? "";
    part("share").textContent = quiz.share ?? "";
    part("streak").textContent = quiz.best
      ? `Days in a row: ${quiz.streak}; the most so far: ${quiz.best}.`
      : "";
  };

  let waiting = false;

  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    if (waiting) return;
    waiting = true;
    close();
    try {
      const answer = await fetch(form.dataset.guess, {
        method: "POST",
        body: new URLSearchParams(new FormData(form)),
        headers: { Accept: "application/json" },
      });
      const quiz = await answer.json();
      if (!Array.isArray(quiz.clues)) throw new Error(quiz.detail);
      show(quiz);
      complain(quiz.problem);
      if (quiz.over) {
        part("result").tabIndex = -1;
        part("result").focus();
      } else {
        if (!quiz.problem) field.value = "";
        field.focus();
      }
    } catch {
      // Submit the form normally, so that the server shows the error. submit() does not fire this event.
      form.submit();
    } finally {
      waiting = false;
    }
  });

  // Refresh pages from the back/forward cache, which may show an earlier state or day.
  window.addEventListener("pageshow", async (event) => {
    if (!event.persisted) return;
    try {
      const answer = await fetch(form.dataset.state);
      if (answer.ok) show(await answer.json());
    } catch {
      // Keep the earlier state.
    }
  });

  // --- Suggestions ---

  const MAX_SUGGESTIONS = 8;
  const list = make("ul", "", "titles");
  list.id = "quiz-titles";
  list.hidden = true;
  list.setAttribute("role", "listbox");
  list.setAttribute("aria-label", "Titles");
  field.after(list);
  field.setAttribute("role", "combobox");
  field.setAttribute("aria-autocomplete", "list");
  field.setAttribute("aria-controls", list.id);
  field.setAttribute("aria-expanded", "false");

  const plain = (text) =>
    text
      .toLowerCase()
      .normalize("NFKD")
      .replace(/[\p{M}'’]/gu, "")
      .replace(/[^\p{L}\p{N}]+/gu, " ")
      .trim();
  let titles = null;
  let chosen = -1;

  // Load all titles once, when typing starts, so that the typed text is not sent to the server.
  const fetchTitles = async () => {
    if (titles) return;
    titles = [];
    try {
      const answer = await fetch(form.dataset.titles);
      titles = (await answer.json()).map((title) => ({ title, words: ` ${plain(title)}` }));
      suggest();
    } catch {
      titles = null;
    }
  };

  const close = () => {
    list.hidden = true;
    chosen = -1;
    field.setAttribute("aria-expanded", "false");
    field.removeAttribute("aria-activedescendant");
  };

  const take = (option) => {
    field.value = option.textContent;
    close();
  };

  const suggest = () => {
    const typed = plain(field.value);
    if (typed.length < 2 || !titles?.length || document.activeElement !== field) return close();
    const found = titles.filter((one) => one.words.includes(` ${typed}`));
    found.sort((a, b) => b.words.startsWith(` ${typed}`) - a.words.startsWith(` ${typed}`));
    close();
    list.replaceChildren(
      ...found.slice(0, MAX_SUGGESTIONS).map((one, number) => {
        const option = make("li", one.title);
        option.id = `quiz-title-${number}`;
        option.setAttribute("role", "option");
        option.setAttribute("aria-selected", "false");
        // mousedown, because it fires before the field loses focus.
        option.addEventListener("mousedown", (event) => {
          event.preventDefault();
          take(option);
        });
        return option;
      }),
    );
    list.hidden = !found.length;
    field.setAttribute("aria-expanded", String(!list.hidden));
  };

  const move = (step) => {
    const options = [...list.children];
    options[chosen]?.setAttribute("aria-selected", "false");
    chosen = (chosen + step + options.length + (chosen < 0 && step < 0 ? 1 : 0)) % options.length;
    options[chosen].setAttribute("aria-selected", "true");
    options[chosen].scrollIntoView({ block: "nearest" });
    field.setAttribute("aria-activedescendant", options[chosen].id);
  };

  field.addEventListener("focus", fetchTitles);
  field.addEventListener("input", () => {
    fetchTitles();
    suggest();
  });
  field.addEventListener("blur", close);
  field.addEventListener("keydown", (event) => {
    if (list.hidden) return;
    if (event.key === "ArrowDown" || event.key === "ArrowUp") {
      event.preventDefault();
      move(event.key === "ArrowDown" ? 1 : -1);
    } else if (event.key === "Enter" && chosen >= 0) {
      event.preventDefault();
      take(list.children[chosen]);
    } else if (event.key === "Escape") {
      event.preventDefault();
      close();
    }
  });

  // --- Sharing the result ---

  const copy = part("copy");
  copy.hidden = !(navigator.share || navigator.clipboard);
  copy.textContent = navigator.share ? "Share it" : "Copy it";
  copy.addEventListener("click", async () => {
    const text = part("share").textContent;
    try {
      if (navigator.share) await navigator.share({ text });
      else {
        await navigator.clipboard.writeText(text);
        copy.textContent = "Copied";
      }
    } catch {
      // Rejected by the browser or the user. The text can still be selected.
    }
  });
})();
