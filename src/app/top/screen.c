/* SPDX-License-Identifier: MIT */
#include "app/top/screen.h"

#include "base/error.h"

#include <curses.h>
#include <errno.h>
#include <stdio.h>

static SCREEN *screen;
static attr_t attributes[_TOP_STYLE_N];

static void choose_colours(void) {
    attributes[TOP_HEADING] = A_REVERSE;
    attributes[TOP_GOOD] = attributes[TOP_BAD] = A_BOLD;
    if (!has_colors() || start_color() == ERR || use_default_colors() == ERR)
        return;
    init_pair(TOP_GOOD, COLOR_GREEN, -1);
    init_pair(TOP_BAD, COLOR_RED, -1);
    attributes[TOP_GOOD] = (attr_t)COLOR_PAIR(TOP_GOOD);
    attributes[TOP_BAD] = (attr_t)COLOR_PAIR(TOP_BAD) | A_BOLD;
}

int screen_open(void) {
    screen = newterm(NULL, stdout, stdin); /* initscr() would end the process where it fails */
    if (!screen)
        return error_origin(-ENOTTY);
    choose_colours();
    cbreak();
    noecho();
    nodelay(stdscr, TRUE);
    keypad(stdscr, TRUE);
    curs_set(0);
    return 0;
}

void screen_close(void) {
    if (!screen)
        return;
    endwin();
    delscreen(screen);
    screen = NULL;
}

size_t screen_n_lines(void) {
    return LINES > 0 ? (size_t)LINES : 1;
}

/* Headings reach to the edge. The last place of the last line is left alone: writing there would scroll. */
static void show_line(int y, const TopLine *line) {
    int width = y == LINES - 1 ? COLS - 1 : COLS;

    attrset((int)attributes[line->style]);
    mvaddnstr(y, 0, line->text, width);
    for (int x = getcurx(stdscr); line->style == TOP_HEADING && getcury(stdscr) == y && x < width; x++)
        addch(' ');
    attrset(A_NORMAL);
}

void screen_show(const TopPage *page, const char *prompt) {
    erase();
    for (size_t i = 0; i < page->n && (int)i < LINES; i++)
        show_line((int)i, &page->lines[i]);
    if (prompt) {
        move(LINES - 1, 0);
        clrtoeol();
        mvaddnstr(LINES - 1, 0, prompt, COLS - 1);
    }
    curs_set(prompt != NULL);
    refresh();
}

int screen_key(void) {
    int key = getch();

    return key == ERR ? SCREEN_NO_KEY : key == KEY_RESIZE ? SCREEN_RESIZED : key == KEY_BACKSPACE ? 127 : key;
}
