/*
 * Light or dark: the visitor's choice where there is one, otherwise the system's. Loaded before the
 * style sheet, so that a dark page never flashes white. Announces changes with the event `theme`.
 */
(() => {
  const root = document.documentElement;
  const system = matchMedia('(prefers-color-scheme: dark)');
  const choices = { auto: 'light', light: 'dark', dark: 'auto' }; // what a press makes of each
  const titles = { auto: 'automatic', light: 'light', dark: 'dark' };
  let choice = 'auto';

  function apply() {
    root.dataset.theme = choice === 'auto' ? (system.matches ? 'dark' : 'light') : choice;
    const colour = root.dataset.theme === 'dark' ? '#121418' : '#f5f4f1';
    document.querySelector('meta[name=theme-color]').content = colour;
    const button = document.getElementById('theme');
    if (button) {
      button.title = `Colours: ${titles[choice]}`;
      button.setAttribute('aria-label', button.title);
    }
    dispatchEvent(new Event('theme'));
  }

  try {
    choice = localStorage.getItem('theme') ?? 'auto';
  } catch {
    // storage is forbidden: automatic it is
  }
  choice = choice in choices ? choice : 'auto';
  apply();
  system.addEventListener('change', apply);
  addEventListener('DOMContentLoaded', () => {
    apply();
    document.getElementById('theme').addEventListener('click', () => {
      choice = choices[choice];
      try {
        localStorage.setItem('theme', choice);
      } catch {
        // the choice lasts as long as the page
      }
      apply();
    });
  });
})();
